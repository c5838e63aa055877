"""Labelled clips: manifests and what reads them, folds that never split a source, augmentation."""
