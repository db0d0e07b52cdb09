"""The Neuron schema's versions, as a package: ``versions="neuron_schema.versions"``.

A wheel carries the version modules beside this file. In a checkout, and so in an editable
install, they lie in the top-level folder ``versions``, where people edit them; this package
then looks there.
"""

from pathlib import Path

_here = Path(__file__).resolve()
_checkout = _here.parents[2]

# Modules beside this file win: what lies two folders up from site-packages is none of ours.
if (
    not any(_here.parent.glob("[0-9]*_*.py"))
    and (_checkout / "pyproject.toml").is_file()
    and (_checkout / "versions").is_dir()
):
    __path__ = [str(_checkout / "versions")]
