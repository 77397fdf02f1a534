"""Matrix calculus for transformers."""
