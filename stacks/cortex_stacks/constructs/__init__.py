"""What the stacks are put together from: one construct for each idea, properties in, resources out."""
