"""The resource types of EC2, in a module for each part of a network."""
