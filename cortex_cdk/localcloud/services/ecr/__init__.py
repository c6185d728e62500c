"""Amazon ECR: images whose manifest names a folder of programs. Read ``images`` first."""
