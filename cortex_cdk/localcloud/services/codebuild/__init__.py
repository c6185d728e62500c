"""AWS CodeBuild: a build makes a Python environment. Read ``backend`` first."""
