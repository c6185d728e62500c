"""nginx with an answer that never changes: the limit of the machine (``python nginx_static.py HOST:PORT``)."""

import os
import sys
import tempfile
from pathlib import Path

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    server {{
        listen {address};
        location / {{
            default_type application/json;
            return 200 '{{"sum": 10.2}}';
        }}
    }}
}}
"""

folder = tempfile.mkdtemp(prefix="bench-nginx-")
configuration = Path(folder) / "nginx.conf"
configuration.write_text(CONFIGURATION.format(folder=folder, address=sys.argv[1]))
os.execvp("nginx", ["nginx", "-p", folder, "-c", str(configuration)])
