"""What setup.cfg can't say: ``configs`` stands beside the package and is installed as its part."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["spacy_elmo*"]), "spacy_elmo.configs"],
    package_dir={"spacy_elmo.configs": "configs"},
)
