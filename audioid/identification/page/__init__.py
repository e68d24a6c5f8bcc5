"""A local page on which sounds are dropped or recorded, and answered: `audioid serve`."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Gradio, which reads it when it is imported, tells nobody of its use
