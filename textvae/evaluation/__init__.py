"""Evaluation of models: likelihood, information in the latent, quality of generated text."""
