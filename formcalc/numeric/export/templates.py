"""The parts of exported files that are the same for every model; braces hold what is not."""

CHECK = '''\
def check_shapes(*arrays):
    """Raise a ValueError that names the array whose shape does not fit."""
    sizes = {}
    for array, (name, due) in zip(arrays, SHAPES.items(), strict=False):
        found = tuple(array.shape)
        fits = len(found) == len(due)
        for size, word in zip(found, due, strict=False):
            fits = fits and size == (int(word) if word.isdigit() else sizes.setdefault(word, size))
        if not fits:
            known = ", ".join(f"{word} = {sizes[word]}" for word in due if word in sizes)
            wanted = f"({', '.join(due)})" + (f" with {known}" if known else "")
            raise ValueError(f"{name} has the shape {found}; it should be {wanted}")
'''

NUMPY = '''\
def {output}_and_gradients({everything}):
    """The {output}, and the gradients by name."""
    arguments = {packed}
    check_shapes({starred})
    {output}, saved = forward(*arguments)
    return {output}, dict(zip(GRADIENTS, backward({starred}, saved), strict=True))
'''

JAX = '''\
@jax.custom_vjp
def {name}({arguments}):
    """The {output}, with a derivative of its own that may be differentiated again."""
    {output}, _ = forward_rule({arguments})
    return {output}


def forward_rule(*arguments):
    """The {output}, and what its derivative needs."""
    check_shapes(*arguments)
    {output}, saved = forward(*arguments)
    return {output}, (arguments, saved)


def backward_rule(residuals, {cotangent}):
    """The cotangents of all arguments; None of what is held constant."""
    arguments, saved = residuals
    gradients = {gradients}
    return {returned}


{name}.defvjp(forward_rule, backward_rule)
'''

TORCH = '''\
class {title}(torch.autograd.Function):
    """The {output}, and with it what the backward pass reads."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments):
        check_shapes(*arguments)
        {output}, saved = forward(*arguments)
        return {output}, *(x.view_as(x) for x in saved)  # an argument may not go out as it is

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, *saved = output
        ctx.mark_non_differentiable(*saved)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs, *saved)

    @staticmethod
    def backward(ctx, {cotangent}, *_):
        refuse(ctx.needs_input_grad)
        if {cotangent} is None:
            return (None,) * {count}
        gradients = {title}Backward.apply({cotangent}, *ctx.saved_tensors)
        return {returned}


class {title}Backward(torch.autograd.Function):
    """The gradients; its own backward pass multiplies with the Hessian."""

    generate_vmap_rule = True

    @staticmethod
    def forward({cotangent}, *tensors):
        arguments, saved = tensors[:{count}], tensors[{count}:]
        return {gradients}

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:{more}])
        ctx.saved = len(inputs) - {more}

    @staticmethod
    def backward(ctx, *directions):
        {cotangent}, *arguments = ctx.saved_tensors
{again}


def {name}({arguments}):
    """The {output}, which autograd and torch.func differentiate, also twice."""
    {output}, *_ = {title}.apply({arguments})
    return {output}
'''

REFUSE = '''\
def refuse(needed):
    """Raise an error if a gradient is asked for that there is none of."""
    for name, is_needed in zip(SHAPES, needed, strict=False):
        if is_needed and name not in GRADIENTS:
            raise RuntimeError(f"{name} is held constant in this file: detach it")
'''

AUTOMATIC = """\
        named = dict(zip(SHAPES, arguments, strict=False))

        def gradients({cotangent}, weights):
            arguments = (named | weights).values()
            _, saved = forward(*arguments)
            return {gradients}

        weights = {{name: named[name] for name in GRADIENTS}}
        _, pull_back = torch.func.vjp(gradients, {cotangent}, weights)
        d{cotangent}, products = pull_back(directions)
        return d{cotangent}, *map(products.get, named), *[None] * ctx.saved
"""

DERIVED = """\
        {products}
        return d{cotangent}, {second}, *[None] * ctx.saved
"""
