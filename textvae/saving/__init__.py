"""Model folders: writing, reading, and the fingerprint of a model."""
