"""Who may use the API: clients with a key (``networking.auth``), and web pages of which origins (``networking.cors``).

Read ``gate`` first. ``key_source`` is the supervisor's side of keys. Imports formats and the contract only.
"""
