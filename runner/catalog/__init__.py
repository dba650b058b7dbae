"""What is known of models, and names made concrete."""
