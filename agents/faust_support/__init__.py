"""What depends on how Faust behaves: its agents, and fixes that name the fault they fix."""
