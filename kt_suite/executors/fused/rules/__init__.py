"""How each kind of layer acts on many members at once: one file a family, and a registry.

``register_rule`` adds one for a layer of anyone's.
"""

from kt_suite.executors.fused.rules.base import Rule, register_rule, rule_of

__all__ = ["Rule", "register_rule", "rule_of"]
