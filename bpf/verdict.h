/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every stage of the pipeline returns, an int:
 *
 *	0 and above		the packet is done with, its reason counted: the program returns this to the kernel
 *	CONTINUE		on to the next stage
 *	TO_SLOW_PATH		from the fast path, which has changed nothing: on to the program of its direction
 *	TAIL_CALL(PROG_...)	from a subprogram alone, where a tail call would end no more than the subprogram: its
 *				caller makes the call, see verdict_resume()
 *
 * Verdicts of the first kind come from drop(), pass_untranslated(), tail_call() and deliver().
 */
#ifndef DETNAT_VERDICT_H
#define DETNAT_VERDICT_H

#define CONTINUE	(-1)
#define TO_SLOW_PATH	(-2)
#define TAIL_CALL(prog) (-3 - (int)(prog))

#endif
