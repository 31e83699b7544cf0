from pathlib import Path

FIGURES = Path("/tmp/x")
DRAWING = FIGURES
