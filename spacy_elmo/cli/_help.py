"""Words that the help texts of several commands share."""

SOURCE = "A bundled or published name, a path or a URL"
