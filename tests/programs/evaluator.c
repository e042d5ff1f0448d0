/* evaluator.c - a frame evaluator (PEP 523) that counts, for a Python that loads it with ctypes. */
struct thread_state;
struct interpreter;
struct frame;
typedef void *evaluate_frame(struct thread_state *state, struct frame *frame, int throws);

evaluate_frame _PyEval_EvalFrameDefault;
struct interpreter *PyInterpreterState_Get(void);
void _PyInterpreterState_SetEvalFrameFunc(struct interpreter *interpreter,
					  evaluate_frame *evaluate);

static int count;

static void *evaluate(struct thread_state *state, struct frame *frame, int throws)
{
	count++;
	return _PyEval_EvalFrameDefault(state, frame, throws);
}

void evaluator_put(void)
{
	_PyInterpreterState_SetEvalFrameFunc(PyInterpreterState_Get(), evaluate);
}

void evaluator_take(void)
{
	_PyInterpreterState_SetEvalFrameFunc(PyInterpreterState_Get(), _PyEval_EvalFrameDefault);
}

int evaluator_count(void)
{
	return count;
}
