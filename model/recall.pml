/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Leases and recalls for Spin: two holders, a breaker, the gate, the daemon that runs one recall, the administrator's command. Each may be killed anywhere.
 *
 * The kernel's part (lease, hold, window, flight) survives the daemon; the daemon's part (phase) does not. `check.sh` looks at every interleaving:
 *   broken_under_pin   no break completes under a registration that is told to be protected
 *   unconsented        no holder is ended without the configuration's consent
 *   recall_ends        (LTL) every recall ends
 *   left_behind        when everything has come to rest, there is no lease without a holder, no hold and no window
 * -DBUG=n breaks one rule each, and must be found: check.sh tries them all.
 */
#ifndef CONSENT
#define CONSENT 1 /* escalation = "kill" */
#endif
#ifndef BUG
#define BUG 0
#endif
#ifndef CRASHES
#define CRASHES 1 /* of the daemon */
#define TRIES 1 /* of the breaker */
#endif
#define HOLDERS 2

mtype = {idle, asking, fencing, killing, window, closing};

/* the kernel's: survives everything */
bool lease[HOLDERS]; /* refuses breaks */
bool pinned[HOLDERS];
bool raced[HOLDERS]; /* told to be unprotected */
bool hold; /* over the file, from the recall's beginning to its end */
bool open; /* the command may pass the hold */
bool flight_breaker, flight_command; /* let through by the gate, not yet ended */
byte passed; /* breaks that ended, modulo 4: only "has it moved" is looked at */

/* processes */
bool alive[HOLDERS]; 
bool killed[HOLDERS];
bool command_runs, requester_alive;
bool daemon_up;

/* the daemon's: lost with it */
mtype phase = idle;
bool recalling; /* the administrator waits for an answer; his own knowledge, not the daemon's */
byte crashes = 0;

inline give_up(i) { lease[i] = false; pinned[i] = false; raced[i] = false }

/* A registration: the slot, then the look at what is in flight, then the pin, then the second look. */
proctype Holder(byte i) {
	bool suspect; byte seen; bool again = true;
	do
	:: alive[i] && !lease[i] && again ->
		again = false;
		atomic { (alive[i]); lease[i] = true; seen = passed; suspect = flight_breaker || flight_command }
		if
		:: atomic { alive[i] -> pinned[i] = true;
#if BUG != 1
			raced[i] = suspect && (seen != passed || flight_breaker || flight_command)
#endif
		}
		:: !alive[i] -> skip
		fi
	:: atomic { alive[i] && pinned[i] -> give_up(i) } /* lets go, asked or not */
	:: atomic { alive[i] && (phase == fencing) && pinned[i] -> give_up(i) } /* its library fences: dereg */
	:: atomic { !alive[i] && lease[i] ->
#if BUG == 2
		pinned[i] = false; break
#endif
		give_up(i) /* the kernel releases the umem of a process that ends */
	   }
	:: !alive[i] && !lease[i] -> break
	:: alive[i] && !lease[i] && !again -> break
	od
}

proctype Dies(byte i) {
	if
	:: alive[i] = false
	:: skip
	fi
}

#define NOBODY_LEASES (!lease[0] && !lease[1])
#define PROTECTED(i) (pinned[i] && lease[i] && !raced[i])

inline complete(flag) {
	atomic {
		assert(!PROTECTED(0) && !PROTECTED(1)); /* broken_under_pin */
		passed = (passed + 1) % 4;
		flag = false
	}
}

/* Anybody: the flight is noted before the slots are read. */
proctype Breaker() {
	byte tries = 0;
	do
	:: tries < TRIES ->
		tries++;
		flight_breaker = true;
		if
		:: atomic { NOBODY_LEASES && !hold -> skip }; complete(flight_breaker)
		:: atomic { !NOBODY_LEASES || hold -> flight_breaker = false }
		fi
	:: break
	od
}

proctype Command() {
	command_runs = true;
	flight_command = true;
	if
#if BUG == 3
	:: atomic { hold && open -> skip }; complete(flight_command)
	:: atomic { !(hold && open) -> flight_command = false }
#else
	:: atomic { NOBODY_LEASES && (!hold || (open && requester_alive)) -> skip }; complete(flight_command)
	:: atomic { !(NOBODY_LEASES && (!hold || (open && requester_alive))) -> flight_command = false }
#endif
	fi;
	command_runs = false
}

/* `holdfast recall FILE -- COMMAND`: asks, asks again of a daemon that was restarted, runs the command in the window. May be killed anywhere. */
proctype Administrator() {
	atomic { recalling = true; requester_alive = true }
	do
	:: atomic { daemon_up && phase == idle && !hold && recalling -> phase = asking; hold = true }
	:: daemon_up && phase == window -> run Command(); (!command_runs); break
	:: daemon_up && !recalling -> break
	:: break /* killed */
	od;
	atomic { requester_alive = false; recalling = false }
}

proctype Daemon() {
	do
	:: atomic { daemon_up && phase == asking && requester_alive && NOBODY_LEASES -> open = true; phase = window }
	:: atomic { daemon_up && phase == asking && requester_alive && !NOBODY_LEASES -> phase = fencing } /* the wait is over */
	:: atomic { daemon_up && phase == fencing && requester_alive && NOBODY_LEASES -> open = true; phase = window }
	:: atomic { daemon_up && phase == fencing && requester_alive && !NOBODY_LEASES ->
		if
#if BUG == 4
		:: phase = killing
#else
		:: CONSENT -> phase = killing
		:: !CONSENT -> phase = closing; recalling = false
#endif
		fi }
	:: atomic { daemon_up && phase == killing && requester_alive && !NOBODY_LEASES ->
		assert(CONSENT); /* unconsented */
		if
		:: lease[0] && alive[0] -> alive[0] = false; killed[0] = true
		:: lease[1] && alive[1] -> alive[1] = false; killed[1] = true
		:: else -> phase = closing; recalling = false /* it does not end: given up */
		fi }
	:: atomic { daemon_up && phase == killing && requester_alive && NOBODY_LEASES -> open = true; phase = window }
	/* the one who asked is gone, or the command has ended */
	:: atomic { daemon_up && phase != idle && phase != closing && !requester_alive -> phase = closing }
	:: atomic { daemon_up && phase == closing -> open = false }; atomic { if :: daemon_up && phase == closing -> hold = false; phase = idle; recalling = false :: else -> skip fi }
	/* killed, and started again: what stands in the kernel says how to go on */
	:: atomic { daemon_up && crashes < CRASHES -> crashes++; daemon_up = false; phase = idle }
	:: atomic { !daemon_up -> daemon_up = true;
		if
		:: hold && open && requester_alive -> phase = window
		:: hold && !(open && requester_alive) ->
#if BUG != 5
			open = false; hold = false
#else
			skip
#endif
		:: else -> open = false
		fi }
	od
}

init {
	byte i;
	atomic {
		daemon_up = true;
		alive[0] = true; alive[1] = true;
		run Daemon(); run Holder(0); run Holder(1); run Breaker(); run Administrator(); run Dies(0)
	}
	/* Everything else has ended; the daemon has nothing left to do but to be killed. */
	(_nr_pr == 2 && daemon_up && phase == idle);
end:	atomic { (_nr_pr == 2 && daemon_up && phase == idle && !requester_alive) ->
		assert(!open && !hold && (alive[0] || !lease[0]) && (alive[1] || !lease[1])) /* left_behind */
	}
}

ltl recall_ends { [] (recalling -> <> !recalling) }
