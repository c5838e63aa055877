"""Recipes that turn labelled clips into a calibrated one-file model."""
