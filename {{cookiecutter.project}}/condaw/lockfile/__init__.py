"""conda-lock.yml: read and judged, held against environment.yml, solved again."""
