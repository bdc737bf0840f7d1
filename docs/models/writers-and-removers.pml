/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts that write bundles, hosts that prune, and an operator, on one repository without a lock (docs/format.md,
 * "Retention records"). One base bundle; every writer makes a delta against it, or a full.
 *
 * Safety: a committed bundle has its segments, and its base has manifest and segments, for ever.
 *
 * Time is not modelled; its rules are, each as "what began before is over by now":
 *   HOUR  from a mark to the removal at least an hour passes, from a writer's last look to its manifest less;
 *   KEPT  a writer believes that a mark was taken back only an hour later, and from a remover's last look to a removal less
 *         than that passes;
 *   DEAD  a writer that is nearly as old as what counts as dead does not commit;
 *   YOUNG a remover leaves a base alone as long as a writer that may not look can still commit against it.
 * and two that need no time:
 *   LOOK  a writer looks at its base once more before its manifest;
 *   ANEW  a remover looks once more at what refers to a bundle before it removes it.
 * Compile with -DNO_HOUR, -DNO_KEPT, -DNO_DEAD, -DNO_LOOK or -DNO_ANEW, or -DBLIND -DNO_YOUNG, to see that each of them is
 * needed: spin then finds a lost bundle.
 *
 * By itself one writer, two removers of ROUNDS looks each, and the operator. -DTWO adds a second writer; -DBLIND makes the
 * first one a host that may only put, which neither looks nor sees marks; -DONE_REMOVER leaves one remover, -DNO_OPERATOR
 * nobody but them. scripts/check-models does all that, and says what was checked.
 */
#define WRITERS 2
#define REMOVERS 2
#ifndef ROUNDS
#define ROUNDS 2
#endif

/* The base, as the store has it. */
bool manifest = true, segments = true;
/* The newest of its records is a mark. */
bool marked = false;
/* It was made by a run that may not look, so long ago that no other such run can still commit against it: not yet. */
bool young = false;

/* Writers: prefix in the store, bundle committed, with the base; between last look and manifest; too old to commit. */
bool own[WRITERS], committed[WRITERS], uses[WRITERS], looked[WRITERS], old[WRITERS];
/* A writer that may not look is under way with a base. */
bool relies = false;
/* Writers that were between look and manifest when the mark was made. */
bool at_mark[WRITERS];
/* Removers between their last look and the removal; those that were so when the mark was taken back. */
bool removing[REMOVERS], at_kept[REMOVERS];

inline set_mark() {
    atomic {
        marked = true;
        at_mark[0] = looked[0]; at_mark[1] = looked[1]
    }
}

inline take_back() {
    atomic {
        if
        :: marked -> at_kept[0] = removing[0]; at_kept[1] = removing[1]
        :: else
        fi;
        marked = false
    }
}

#ifdef NO_HOUR
#define HOUR_IS_OVER true
#else
#define HOUR_IS_OVER (!(at_mark[0] && looked[0]) && !(at_mark[1] && looked[1]))
#endif

#ifdef NO_KEPT
#define KEPT_IS_RECENT false
#else
#define KEPT_IS_RECENT ((at_kept[0] && removing[0]) || (at_kept[1] && removing[1]))
#endif

#ifdef NO_YOUNG
#define IS_YOUNG false
#else
#define IS_YOUNG young
#endif

/* What a writer sees of the base, object by object: records, then the manifest, or the other way round. */
#define LOOKS_FREE (!marked && !KEPT_IS_RECENT)

proctype writer(byte w) {
    bool free, there;
    /* Whether to make a delta; the segments go up in any case. */
    if
    :: free = LOOKS_FREE; there = manifest; uses[w] = free && there
    :: there = manifest; free = LOOKS_FREE; uses[w] = free && there
    :: uses[w] = false
    fi;
    own[w] = true;
    /* The last look begins, and with it less than an hour. */
    atomic { looked[w] = !old[w] };
#ifdef NO_DEAD
    looked[w] = true;
#endif
    if
    :: !looked[w] -> goto failed
    :: else
    fi;
    if
    :: !own[w] -> goto failed
    :: else
    fi;
    if
    :: uses[w] ->
        /* The records first: the other way round, a removal fits in between whose mark is no longer seen. */
        free = LOOKS_FREE;
        there = manifest;
        if
#ifndef NO_LOOK
        :: !there || !free -> goto failed
#endif
        :: else
        fi
    :: else
    fi;
    committed[w] = true;
failed:
    looked[w] = false
}

/* A writer on a host that may only put: it knows what it made itself and how long ago, and nothing else. */
proctype blind(byte w) {
    atomic { uses[w] = young; relies = young };
    own[w] = true;
    /* Its age it knows by itself. */
    atomic { looked[w] = !old[w] };
    if
    :: !looked[w] -> goto failed
    :: else
    fi;
    committed[w] = true;
failed:
    atomic { looked[w] = false; relies = false }
}

/* Bases grow older than anything that could rely on them. */
proctype time() { atomic { !relies -> young = false } }

/* A writer grows old while nobody sees it between look and manifest: it would not have begun to look. */
proctype age(byte w) {
#ifdef NO_DEAD
    old[w] = true
#else
    atomic { !looked[w] -> old[w] = true }
#endif
}

proctype remover(byte r) {
    byte round = 0;
    bool is_marked, is_used, is_there, is_uncommitted;
    do
    :: round == ROUNDS -> break
    :: else ->
        round++;
        /* The records first: a mark that is seen is older than the listing that is decided on. */
        is_marked = marked;
        is_there = manifest;
        is_used = IS_YOUNG || (committed[0] && uses[0]) || (committed[1] && uses[1]);
        if
        :: is_there && !is_used && !is_marked -> set_mark()
        :: is_there && is_used && is_marked -> take_back()
        :: is_there && !is_used && is_marked ->
            /* The mark's hour; then everything is looked at anew. */
            HOUR_IS_OVER;
            removing[r] = true;
#ifndef NO_ANEW
            is_marked = marked && HOUR_IS_OVER;
            is_used = IS_YOUNG || (committed[0] && uses[0]) || (committed[1] && uses[1]);
#endif
            if
            :: is_marked && !is_used -> manifest = false; segments = false
            :: else
            fi;
            removing[r] = false
        :: true
        fi;
    od
}

/* Clears what dead runs left: no manifest, and old. */
proctype sweeper(byte w) {
    bool is_uncommitted;
    old[w];
    is_uncommitted = !committed[w];
    if
    :: is_uncommitted -> own[w] = false
    :: else
    fi
}

/* Marks and takes back; a mark of its own obeys the same hour. */
proctype operator() {
    if
    :: set_mark(); take_back()
    :: take_back(); set_mark()
    fi
}

#define WHOLE(w) (!committed[w] || (own[w] && (!uses[w] || (manifest && segments))))

/* Fails as soon as something is lost. */
proctype watch() {
    atomic { !(WHOLE(0) && WHOLE(1)) -> assert(false) }
}

init {
    atomic {
#ifdef BLIND
        young = true;
        run blind(0); run time();
#else
        run writer(0);
#endif
#ifdef TWO
        run writer(1);
#endif
        run age(0); run sweeper(0);
        run remover(0);
#ifndef ONE_REMOVER
        run remover(1);
#endif
#ifndef NO_OPERATOR
        run operator();
#endif
        run watch()
    }
}
