"""AWS Systems Manager: the parameters that AWS publishes, which name the newest machine images.

Read ``public_images``. Everything else of the service is moto's.
"""
