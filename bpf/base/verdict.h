/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The result of every step of the pipeline, an int:
 *
 *	0 and above		final: the reason is counted, and the program returns this value to the kernel
 *	CONTINUE		go on with the next step
 *	TO_SLOW_PATH		the fast path has changed nothing: run the slow-path program of its direction
 *	TAIL_CALL(PROG_...)	only from a subprogram, where a tail call would end nothing but the subprogram:
 *				its caller makes the call, see verdict_resume()
 *
 * Final verdicts come from drop(), pass_untranslated(), tail_call() and deliver().
 */
#ifndef DETNAT_VERDICT_H
#define DETNAT_VERDICT_H

#define CONTINUE	(-1)
#define TO_SLOW_PATH	(-2)
#define TAIL_CALL(prog) (-3 - (int)(prog))

#endif
