"""Amazon EC2: instance types, and the network resources that moto lacks or cannot remove."""
