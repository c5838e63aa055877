"""From sound to answers: the classifier, the timeline, events, results and their formats."""
