"""Real fronts that ask the gateway, with the files that users copy: the same scenarios through each of them.

starting    starts a front, waits until it answers, and ends it
app         what all of them serve
lies        what a client may write into its fields
scenarios   what must hold; test_FRONT.py starts one, and says where it is known to differ
"""

import pytest

pytest.register_assert_rewrite("tests.fronts.scenarios", "tests.fronts.starting")
