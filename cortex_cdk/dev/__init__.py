"""``cortex dev``: deploys a project each time its files change, and tells how that goes. Read ``session.py`` first.

May use the client and everything below it.
"""
