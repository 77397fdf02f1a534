"""Layers are pulled back once, with their index as a symbol."""

import pytest

import formcalc as fc

BACKWARD = """\
G_L = E^t
layers i = L-1 .. 0
  M_i = mm(Z_i^t, W_i G_{i+1})
  U_i = aa^t(S_i^t, X_i V_i M_i)
  dQ_i : n^{-1/2} K_i^t X_i^t U_i X_i
  dK_i : n^{-1/2} Q_i^t X_i^t U_i^t X_i
  dV_i : M_i a(S_i) X_i
  db_i : M_i C
  dW_i : G_{i+1} m(Z_i)
  df_i : G_{i+1} C
  G_i = V_i M_i a(S_i) + n^{-1/2} (Q_i K_i^t X_i^t U_i + K_i Q_i^t X_i^t U_i^t)"""


@pytest.mark.parametrize("layers", [1, 2, 96])
def test_the_backward_page_of_the_encoder_has_the_same_text_for_every_depth(layers):
    assert str(fc.derive(fc.load("encoder", L=layers))) == BACKWARD


def verified(text, **sizes):
    form = fc.derive(fc.load(text, **sizes))
    for oracle in ("jax", "torch"):
        report = fc.verify(form, oracle=oracle)
        assert report.ok, report
    return form


def test_a_weight_that_all_layers_share_has_the_sum_of_what_they_add():
    form = verified("""dims T = 3, d = 2, L = 3
data X_0, Y: T×d
weights W: d×d
layers i = 0 .. L-1
  X_{i+1} = tanh(X_i W)
E = Y - X_L
loss = 1/2 trace(E^t E)
""")
    assert str(form).splitlines()[2:] == [
        "  M_{i+1} = tanh'(W^t X_i^t, G_{i+1})",
        "  G_i = W M_{i+1}",
        "A = Σ_i M_{i+1} X_i",
        "dW : A",
    ]


def test_a_definition_that_all_layers_use_gathers_before_it_goes_on():
    form = verified("""dims T = 3, d = 2, L = 2
data A, Y: T×d
weights V: d×d
B = A V
X_0 = m(B V)
layers i = 0 .. L-1
  weights Q_i: d×d
  X_{i+1} = gelu(X_i Q_i + B)
E = Y - X_L + X_0
loss = 1/2 trace(E^t E)
""")
    assert list(form) == ["V", "Q_0", "Q_1"]


def test_what_comes_in_may_depend_on_weights_and_be_used_again():
    form = verified("""dims T = 3, d = 2, L = 2
data D, Y: T×d
weights U: d×d
X_0 = D U
layers i = 0 .. L-1
  weights Q_i: d×d
  X_{i+1} = X_i + silu(X_i Q_i)
E = Y - X_L - X_0 U
loss = 1/2 trace(E^t E)
""")
    names = [letter.name for letter in form.cotangents]
    assert len(names) == len(set(names))


def test_two_states_and_two_blocks():
    verified("""dims d = 3, K = 2, L = 3
data A_0, B_0, Y: d×d
layers i = 0 .. K-1
  weights W_{1,i}, W_{2,i}: d×d
  A_{i+1} = tanh(B_i W_{1,i})
  B_{i+1} = A_{i+1} + A_i W_{2,i}
C_1 = A_K B_K
layers j = 1 .. L
  weights V_j: d×d
  C_{j+1} = sigmoid(C_j V_j) + C_j
E = Y - C_{L+1}
loss = 1/2 trace(E^t E)
""")


def test_what_one_block_hands_to_the_next_and_to_others_has_two_names():
    form = verified("""dims T = 3, d = 2, K = 2, L = 4
data X_0, Y: T×d
layers i = 0 .. K-1
  weights W_i: d×d
  X_{i+1} = tanh(X_i W_i)
layers j = K .. L-1
  weights V_j: d×d
  X_{j+1} = X_j + sigmoid(X_j V_j)
E = Y - X_L - X_K
loss = 1/2 trace(E^t E)
""")
    assert str(form).splitlines() == [
        "G_L = E^t",
        "layers j = L-1 .. K",
        "  M_{j+1} = sigmoid'(V_j^t X_j^t, G_{j+1})",
        "  dV_j : M_{j+1} X_j",
        "  G_j = G_{j+1} + V_j M_{j+1}",
        "U_K = E^t + G_K",
        "layers i = K-1 .. 0",
        "  H_{i+1} = tanh'(W_i^t X_i^t, U_{i+1})",
        "  dW_i : H_{i+1} X_i",
        "  U_i = W_i H_{i+1}",
    ]
    names = [letter.name for letter in form.cotangents]
    assert len(names) == len(set(names))


def test_a_state_that_the_loss_does_not_reach_hands_back_zero():
    form = verified("""dims d = 2, L = 2
data A_0, B_0, Y: d×d
layers i = 0 .. L-1
  weights W_i, V_i: d×d
  A_{i+1} = A_i W_i
  B_{i+1} = B_i V_i
E = Y - A_L
loss = 1/2 trace(E^t E)
""")
    assert abs(fc.evaluate(form, fc.sample(form.model))["V_0"]).max() == 0


@pytest.mark.parametrize("layers", [1, 12])
def test_deep_models_evaluate_at_the_default_recursion_limit(layers):
    model = fc.load("encoder", L=layers, T=3, d=4)
    assert set(fc.evaluate(fc.derive(model), fc.sample(model))) == set(model.weights)


def test_the_words_of_the_coefficients_are_those_of_the_form():
    form = fc.derive(fc.load("encoder", L=3))
    assert form.words().count == 696
    assert sum(form.words(name).count for name in form) == 696
