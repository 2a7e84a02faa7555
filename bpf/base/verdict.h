/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The result of every step of the pipeline, an int:
 *
 *	FINAL(verdict)		the reason is counted, and the program returns this value to the kernel: XDP's verdict,
 *				or tc's, where -1 lets the next program have the packet (CTX_PASS)
 *	CONTINUE		go on with the next step
 *	TO_SLOW_PATH		the fast path has changed nothing: run the slow-path program of its direction
 *	TAIL_CALL(PROG_...)	only from a subprogram, where a tail call would end nothing but the subprogram:
 *				its caller makes the call, see verdict_resume()
 *
 * Final verdicts come from drop(), pass_untranslated(), tail_call() and deliver().
 */
#ifndef DETNAT_VERDICT_H
#define DETNAT_VERDICT_H

#define CONTINUE	(-2)
#define TO_SLOW_PATH	(-3)
#define TAIL_CALL(prog) (-4 - (int)(prog))
#define FINAL(verdict)	((verdict) > CONTINUE)

#endif
