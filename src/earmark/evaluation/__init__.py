"""How good a model is: measures, and the page that shows them."""
