"""One file a recipe: settings, and a `fit` from a manifest to a candidate model."""
