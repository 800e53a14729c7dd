"""A model as a folder: writing it, reading it, and what makes it the same model."""
