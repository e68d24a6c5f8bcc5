#!/bin/sh
# A Slurm on this machine, for tests and for trying: all that it writes lies in a folder of its own.
#
#   scripts/slurm_here.sh start FOLDER [NODES]    then: export SLURM_CONF=FOLDER/slurm.conf
#   scripts/slurm_here.sh stop FOLDER             jobs and daemons; the folder stays
#
# Each node is a daemon with its share of the processors and of the memory; there is one if no number is given. Their
# names are addresses, 127.0.0.1 and so on, since the tasks of a run look for one another by the name of their node.
# `slurmd -f FOLDER/slurm.conf -N 127.0.0.1` starts one again that was killed.
# A job that takes more memory than it asked for, or than comes to its processors if it did not ask, is killed.
# Its ports are open to the network; only who can reach the socket in its folder (munge) is obeyed.
# What `sbatch --partition=urgent` sends goes before all else: Slurm asks running jobs to end, kills them 5 s later and
# puts them back into the queue.
set -eu

fail() {
    echo "error: $1" >&2
    exit 1
}

is_up() { # PIDFILE PROGRAM: not where another process has been given the number since
    [ -s "$1" ] || return 1
    case $(tr '\0' ' ' 2>/dev/null <"/proc/$(cat "$1")/cmdline") in
    *"$2 "*"$folder/"*) ;;
    *) return 1 ;;
    esac
}

start() {
    for program in slurmctld slurmd sbatch munged; do
        command -v "$program" >/dev/null ||
            fail "$program is not here; on Debian or Ubuntu: apt-get install slurmctld slurmd slurm-client munge"
    done
    [ "$(id -u)" = 0 ] || fail "slurmd takes root; start this as root, such as in a container"
    is_up "$folder/slurmctld.pid" slurmctld && fail "$folder: a Slurm runs there already; stop it first"
    mkdir -p "$folder/state" "$folder/spool"
    (umask 077 && head -c 128 /dev/urandom >"$folder/munge.key")
    port=$((10000 + 10 * ($(printf %s "$folder" | cksum | cut -d ' ' -f 1) % 2000))) # others for each folder
    processors=$(($(getconf _NPROCESSORS_ONLN) / nodes))
    [ "$processors" -ge 1 ] || processors=1
    memory=$(($(slurmd -C | sed -n 's/.*RealMemory=\([0-9]*\).*/\1/p') / nodes)) # MiB
    cat >"$folder/slurm.conf" <<END
ClusterName=here
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=cred_expire=5,socket=$folder/munge.socket
CommunicationParameters=NoAddrCache
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=$((memory / processors))
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
SlurmdTimeout=10
KillWait=5
MinJobAge=60
NodeName=127.0.0.[1-$nodes] NodeHostname=$(hostname -s) Port=[$((port + 1))-$((port + nodes))] \
    CPUs=$processors RealMemory=$memory State=UNKNOWN
PartitionName=here Nodes=ALL Default=YES PriorityTier=1 GraceTime=5 State=UP
PartitionName=urgent Nodes=ALL PriorityTier=2 State=UP
END
    export SLURM_CONF="$folder/slurm.conf"
    # By force: it takes a folder that not all users can reach for a mistake.
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
        --log-file="$folder/munged.log" --seed-file="$folder/munged.seed" 2>>"$folder/munged.log" ||
        fail "$folder: munged did not start; munged.log there says why"
    slurmctld -c -f "$SLURM_CONF"
    for number in $(seq "$nodes"); do
        slurmd -f "$SLURM_CONF" -N "127.0.0.$number"
    done
    for _ in $(seq 100); do
        is_up "$folder/slurmctld.pid" slurmctld &&
            [ "$(sinfo --noheader --format '%D %t' 2>/dev/null)" = "$nodes idle" ] && return
        sleep 0.2
    done
    stop
    fail "$folder: Slurm did not come up in 20 s; slurmctld.log and 127.0.0.1.log there say why"
}

stop() {
    export SLURM_CONF="$folder/slurm.conf"
    [ -e "$SLURM_CONF" ] || fail "$folder: no Slurm was started there"
    if is_up "$folder/slurmctld.pid" slurmctld; then
        scancel --user "$(id -un)" --signal KILL --full 2>/dev/null || true
        scancel --user "$(id -un)" 2>/dev/null || true
        for _ in $(seq 50); do
            [ -z "$(squeue --noheader 2>/dev/null)" ] && break
            sleep 0.2
        done
    fi
    for file in "$folder"/slurmctld.pid "$folder"/127.*.pid "$folder"/munged.pid; do
        program=$(basename "$file" .pid)
        case $program in 127*) program=slurmd ;; esac
        for _ in $(seq 50); do
            is_up "$file" "$program" || break
            kill "$(cat "$file")" 2>/dev/null || true
            sleep 0.2
        done
        if is_up "$file" "$program"; then kill -9 "$(cat "$file")"; fi
        rm -f "$file"
    done
}

say="say: $0 start FOLDER [NODES], or stop FOLDER"
[ $# -ge 2 ] && [ $# -le 3 ] || fail "$say"
mkdir -p "$2"
folder=$(cd "$2" && pwd)
case $1 in
start)
    nodes=${3:-1}
    case $nodes in [1-9]) ;; *) fail "$nodes: is no number of nodes from 1 to 9" ;; esac
    start
    echo "Slurm runs; now: export SLURM_CONF=$folder/slurm.conf"
    ;;
stop) stop ;;
*) fail "$say" ;;
esac
