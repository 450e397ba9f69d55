"""What a training leaves: the model, its card, its page and its history."""
