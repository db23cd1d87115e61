"""Which route a method and path mean. Exact: case, slashes and dots as they were declared."""

from collections.abc import Sequence

from gambit.web.route import Route


class Routing:
    """Over all routes. Raises ValueError for two of the same name."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._by_shape: dict[tuple[str, ...], dict[str, Route]] = {}
        for route in routes:
            methods = self._by_shape.setdefault(_shape(route.path), {})
            if route.method in methods:
                raise ValueError(f"{route.named} is declared twice")
            methods[route.method] = route

    def methods(self, path: str) -> dict[str, tuple[Route, dict[str, str]]]:
        """What may be done at a path, by method, and the words the path gives; empty where there is nothing."""
        parts = tuple(path.split("/"))
        exact = self._by_shape.get(parts)
        if exact is not None:
            return {method: (route, {}) for method, route in exact.items()}
        for shape, methods in self._by_shape.items():
            if len(shape) == len(parts) and all(one in ("{}", part) for one, part in zip(shape, parts, strict=True)):
                return {method: (route, _words(route.path, parts)) for method, route in methods.items()}
        return {}


def _shape(path: str) -> tuple[str, ...]:
    return tuple("{}" if part.startswith("{") else part for part in path.split("/"))


def _words(path: str, parts: tuple[str, ...]) -> dict[str, str]:
    named = zip(path.split("/"), parts, strict=True)
    return {name[1:-1]: part for name, part in named if name.startswith("{")}
