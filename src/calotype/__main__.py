"""``python -m calotype``."""

from calotype.cli import main

raise SystemExit(main())
