"""The recipe of `everyday`, the model inside earmark: the sound it is taught with, and how it is taught."""
