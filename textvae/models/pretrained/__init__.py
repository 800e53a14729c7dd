"""Parts of a model that start from pretrained weights; transformers is imported when one is built."""
