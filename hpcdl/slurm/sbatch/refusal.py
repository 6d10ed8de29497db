"""Why sbatch would refuse a script."""


class Refusal(Exception):
    """sbatch ends here without asking the controller.

    Attributes:
        reason: one sentence for the user, without the place.
        line: the script's line (1 is the first), or None when it is not one line's fault.
        option: the long name of the option at fault, or None.
        rule: what kind of mistake it is, for `hpcdl lint`: a rule's name such as "unknown-option", or None.
    """

    def __init__(self, reason: str, line: int | None = None, option: str | None = None, rule: str | None = None):
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.option = option
        self.rule = rule

    def at(self, line: int | None, option: str | None = None) -> "Refusal":
        """Fill in the place where it is not known yet, and return the refusal itself."""
        if self.line is None:
            self.line = line
        if self.option is None:
            self.option = option
        return self
