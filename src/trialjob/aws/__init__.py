"""What AWS's answers mean, for whatever calls it."""
