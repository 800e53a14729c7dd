"""What a trained model is worth: likelihood, information in the latent, quality of its text."""
