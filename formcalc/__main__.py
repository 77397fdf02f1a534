"""The command line, as ``python -m formcalc``."""

import sys

from formcalc.app.main import main

sys.exit(main())
