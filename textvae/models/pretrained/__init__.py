"""Parts that start from pretrained weights; transformers is imported when one is built."""
