#!/bin/sh
# A Slurm of one node on this machine, for tests and for trying: all that it writes lies in a folder of its own.
#
#   scripts/slurm_here.sh start FOLDER    then: export SLURM_CONF=FOLDER/slurm.conf
#   scripts/slurm_here.sh stop FOLDER     jobs and daemons; the folder stays
#
# Its ports are open to the network; only who can reach the socket in its folder (munge) is obeyed.
# What `sbatch --partition=urgent` sends goes before all else: Slurm asks running jobs to end, kills them 5 s later and
# puts them back into the queue.
set -eu

fail() {
    echo "error: $1" >&2
    exit 1
}

is_up() { # PIDFILE
    [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null
}

start() {
    for program in slurmctld slurmd sbatch munged; do
        command -v "$program" >/dev/null ||
            fail "$program is not here; on Debian or Ubuntu: apt-get install slurmctld slurmd slurm-client munge"
    done
    [ "$(id -u)" = 0 ] || fail "slurmd takes root; start this as root, such as in a container"
    is_up "$folder/slurmctld.pid" && fail "$folder: a Slurm runs there already; stop it first"
    mkdir -p "$folder/state" "$folder/spool"
    (umask 077 && head -c 128 /dev/urandom >"$folder/munge.key")
    name=$(hostname -s)
    port=$((10000 + 2 * ($(printf %s "$folder" | cksum | cut -d ' ' -f 1) % 10000))) # another for each folder
    cat >"$folder/slurm.conf" <<END
ClusterName=here
SlurmctldHost=$name(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=cred_expire=5,socket=$folder/munge.socket
CommunicationParameters=NoAddrCache
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
SlurmdTimeout=10
KillWait=5
MinJobAge=60
NodeName=$name NodeAddr=127.0.0.1 CPUs=$(getconf _NPROCESSORS_ONLN) State=UNKNOWN
PartitionName=here Nodes=$name Default=YES PriorityTier=1 GraceTime=5 State=UP
PartitionName=urgent Nodes=$name PriorityTier=2 State=UP
END
    export SLURM_CONF="$folder/slurm.conf"
    # By force: it takes a folder that not all users can reach for a mistake.
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
        --log-file="$folder/munged.log" --seed-file="$folder/munged.seed" 2>>"$folder/munged.log" ||
        fail "$folder: munged did not start; munged.log there says why"
    slurmctld -c
    slurmd
    for _ in $(seq 100); do
        is_up "$folder/slurmctld.pid" && [ "$(sinfo --noheader --format %t 2>/dev/null)" = idle ] && return
        sleep 0.2
    done
    stop
    fail "$folder: Slurm did not come up in 20 s; slurmctld.log and slurmd.log there say why"
}

stop() {
    export SLURM_CONF="$folder/slurm.conf"
    [ -e "$SLURM_CONF" ] || fail "$folder: no Slurm was started there"
    if is_up "$folder/slurmctld.pid"; then
        scancel --user "$(id -un)" --signal KILL --full 2>/dev/null || true
        scancel --user "$(id -un)" 2>/dev/null || true
        for _ in $(seq 50); do
            [ -z "$(squeue --noheader 2>/dev/null)" ] && break
            sleep 0.2
        done
    fi
    for daemon in slurmctld slurmd munged; do
        for _ in $(seq 50); do
            is_up "$folder/$daemon.pid" || break
            kill "$(cat "$folder/$daemon.pid")" 2>/dev/null || true
            sleep 0.2
        done
        if is_up "$folder/$daemon.pid"; then kill -9 "$(cat "$folder/$daemon.pid")"; fi
        rm -f "$folder/$daemon.pid"
    done
}

[ $# = 2 ] || fail "say: $0 start FOLDER, or stop FOLDER"
mkdir -p "$2"
folder=$(cd "$2" && pwd)
case $1 in
start)
    start
    echo "Slurm runs; now: export SLURM_CONF=$folder/slurm.conf"
    ;;
stop) stop ;;
*) fail "$1: say start or stop" ;;
esac
