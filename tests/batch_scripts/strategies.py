"""Batch scripts by chance: right, wrong and odd ones, weighted towards what people write and get wrong."""

from hypothesis import strategies as st

from hpcdl.slurm.sbatch.getopt import Takes
from hpcdl.slurm.sbatch.options import OPTIONS


def choice(words):
    """One of the words, which are parted by `|`."""
    return st.sampled_from(words.split("|"))


# Options that read files or users of this machine are tried by hand in test_differential.py.
_LEFT_OUT = {"uid", "gid", "nodefile", "bbf", "export-file", "help", "usage", "version"}

_small = st.integers(0, 12)
_number = st.one_of(_small.map(str), choice("-1|+3|007|4294967297|2147483648|65536|1e3||x| 5"))
_time = st.one_of(
    st.builds("{}:{:02d}:{:02d}".format, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)),
    st.builds("{}-{}".format, _small, _small),
    st.builds("{}-{}:{}".format, _small, _small, st.integers(0, 70)),
    st.builds("{}-{}:{}:{}".format, _small, _small, _small, _small),
    st.builds("{}:{}".format, st.integers(0, 2000), st.integers(0, 99)),
    st.integers(0, 100000).map(str),
    choice("UNLIMITED|infinite|-1|24h|1d|1:2:3:4|1-|-5|1--2|::|12:|:5||0|99999999999"),
    st.text("0123456789:-", max_size=10),
)
_size = st.one_of(
    st.builds("{}{}".format, st.integers(0, 5000), choice("|K|M|G|T|k|mb|GB|gb|Gb|gib|B| G|P")),
    choice("1.5G|-1|0|16 G|all||99999999999999999999G|1024M|1048576|+4G"),
)
_nodes = st.one_of(
    st.builds("{}-{}".format, _small, _small),
    _small.map(str),
    choice("1k|1K-2k|1m|2-|-4|two|2,4|1-2-3| 2 ||0|2.0|1km"),
)
_gres = st.one_of(
    st.builds("gpu:{}".format, _number),
    st.builds("gpu:{}:{}".format, st.sampled_from(["a100", "v100", "tesla"]), _number),
    st.builds("gpu:{},gpu:{}:{}".format, _small, st.sampled_from(["a100", "v100"]), _small),
    choice("gpu|gpus:1|gpu:|gpu::1|none|NONE|gpu:1k|gpu:a100:|gres:gpu:1|gpu:1,|,gpu:1|gpu=2|mps:50|"),
    choice("gpu:1mb|gpu:a100|gpu:a100:1:2|gres:gres:gpu:1|gpu:0|gpu:-1|GPU:1|gpu:2(S:0)|gpu/a100:2"),
)
_gpus = st.one_of(
    _number,
    st.builds("{}:{}".format, st.sampled_from(["a100", "v100"]), _small),
    st.sampled_from(["1,2", "a100:1,v100:1", ",", "a100"]),
)
_mail = st.lists(
    choice("BEGIN|END|FAIL|ALL|NONE|end|Begin|ABORT|TIME_LIMIT|TIME_LIMIT_80|ARRAY_TASKS|STAGE_OUT|"), max_size=4
).map(",".join)
_level = choice("block|cyclic|fcyclic|*|plane|arbitrary|Block||pack|nopack")
_distribution = st.one_of(
    st.lists(_level, min_size=1, max_size=4).map(":".join),
    st.builds(
        "{},{}".format,
        st.lists(_level, min_size=1, max_size=3).map(":".join),
        st.sampled_from(["pack", "NoPack", "x", "", "pack,nopack"]),
    ),
    choice("plane=4|plane|plane=0|plane=x|Plane=2|planet=3|hostfile"),
)
_signal = st.one_of(
    st.builds(
        "{}{}{}".format,
        choice("|B:|R:|BR:|RB:|B|b:|:|BB:"),
        choice("USR1|SIGTERM|10|usr2|INT|BUS|0|FOO||70000|RTMIN"),
        choice("|@60|@120|@|@-1|@70000|@1m|@ 5"),
    ),
)
_moment = choice(
    "now|now+1hour|now+60|now-1day|now+2weeks|now+|now+1year|tomorrow|today|Tomorrow|noon|midnight|"
    "fika|teatime|16:00|25:00|4:5|12:30:61|10:30pm|13:00pm|12:00am|12:00pm|0101|010130|12/31|12.31.30|"
    "2030-01-01|2030-01-01T12:00|2030-1-1|2030-01-01T12:00:00|2030-13-01|13/31|2/30|uts2000000000|"
    "uts5||12:00tomorrow|tomorrow 9:00|now + 1 hour|20:00 today|later|1|12|123|1234567|now+1hours30|"
    "9:00am|2030-02-29|NOW|MIDNIGHT|2030-01-1x"
)
_hosts = choice(
    "node1|node[1-4]|node[01-04,07]|node1,node2|node[1-|node[a-b]|node[3-1]|n[1-2]x[3-4]|node[1-4]x||"
    "node1 node2|a,b,a|node[1-2],node[2-3]|node02,node1,node01|$NODE|[1-3]|node[1,2|]|node[0x1]|"
    "n[1-70000]|node[1-2-3]|node[2-,4]|r[1-2]n[1-2],login"
)
_binding = choice(
    "local|rank|map_mem:0,1|mask_mem:0x3,f|none|v,local|help|map_mem:0*2,1|map_mem|prefer,sort|x|"
    "nosort,quiet|mask_mem:3*2|map_mem=1|map_mem:a|verbose||map_mem:0*|q;local"
)
_frequency = choice(
    "low|High|highm1|him1|medium|2400000|low-high|1000-2000|2000-1000|low-2000|ondemand|performance|"
    "powersave|userspace|conservative|1-2:ondemand|1:ondemand|ondemand-2|ondemand:ondemand|0||x|"
    "high-highm1|highm1-high|1-2:x|1-2:|1-2-3"
)
_gpu_binding = choice(
    "closest|c|none|map_gpu:0,1|mask_gpu:0x3|single:2|per_task:1|verbose,closest|x||map_gpu:a|"
    "mask_gpu:0xg|per_task:x|single:-1|verbose|map_gpu:0*2|closest;gpu:none|closest;nic:none"
)
_gpu_frequency = choice(
    "low|high|medium|highm1|450|450,verbose|memory=high|medium,memory=low|x||memory=|High|verbose|450x|low;gpu:high"
)
_hint = choice(
    "compute_bound|memory_bound|multithread|nomultithread|Nomultithread|nomultithread,compute_bound|"
    "help|x||multithread,2"
)
_shape = choice("2:4:1|2|*:4|2-4:4|2:4:1:3|:|x|2:x|1-|*||-1|2k|1-2k:3")
_words = st.one_of(
    st.text("abcXYZ019_./%-+=:,@~$(){}[]*!?^&|;<>", max_size=12),
    st.sampled_from(
        [
            "gpu",
            "batch",
            "long,short",
            "/p/project/x",
            "%x_%j.out",
            "$USER",
            "$(date)",
            "~/x",
            "a b",
            "run#3",
            "näme",
            "",
            "none",
            "None",
            "#KEY#",
            "10,11",
            "afterok:1",
            "日本",
            "\u00a0x",
            "0-15%4",
            "a\tb",
            "-",
            "--",
        ]
    ),
)
VALUES = {
    "time": _time,
    "time-min": _time,
    "delay-boot": _time,
    "mem": _size,
    "mem-per-cpu": _size,
    "mem-per-gpu": _size,
    "tmp": _size,
    "nodes": _nodes,
    "gres": _gres,
    "gpus": _gpus,
    "gpus-per-node": _gpus,
    "gpus-per-task": _gpus,
    "gpus-per-socket": _gpus,
    "mail-type": _mail,
    "distribution": _distribution,
    "signal": _signal,
    "begin": _moment,
    "deadline": _moment,
    "nodelist": _hosts,
    "exclude": _hosts,
    "mem-bind": _binding,
    "cpu-freq": _frequency,
    "gpu-bind": _gpu_binding,
    "gpu-freq": _gpu_frequency,
    "hint": _hint,
    "extra-node-info": _shape,
    "exclusive": choice("user|mcs|True|exclusive||USER|oversubscribe|no"),
    "open-mode": choice("append|truncate|a|T|x|"),
    "kill-on-invalid-dep": st.sampled_from(["yes", "no", "YES", "true", ""]),
    "gres-flags": st.sampled_from(["enforce-binding", "disable-binding", "Enforce-Binding", "x"]),
    "switches": st.one_of(_number, st.builds("{}@{}".format, _number, _time)),
    "acctg-freq": choice("30|task=30|energy=1,task=2|x|foo=1||task=|filesystem=5|network=-1|30,x"),
    "profile": choice("all|none|energy|task,energy|x|Lustre,Network|taskenergy|"),
    "power": st.sampled_from(["level", "LEVEL,x", "x", ""]),
    "propagate": choice("ALL|NONE|CORE|STACK,NOFILE|RLIMIT_CORE|x|all|"),
    "priority": choice("TOP|top|100|-1|x|4294967295|0|"),
    "nice": choice("5|-5|x||2147483646|2147483645|-2147483646|TOP"),
    "get-user-env": choice("10|10L|5s|x|L|"),
    "no-kill": st.sampled_from(["off", "set", "no", "yes", ""]),
    "wait-all-nodes": choice("0|1|2|x|65537|"),
    "export": choice("ALL|NONE|A=1,B|ALL,A=1||NIL"),
}
for _name in (
    "ntasks",
    "cpus-per-task",
    "ntasks-per-node",
    "ntasks-per-core",
    "ntasks-per-socket",
    "ntasks-per-gpu",
    "ntasks-per-tres",
    "tasks-per-node",
    "cores-per-socket",
    "sockets-per-node",
    "threads-per-core",
    "mincpus",
    "cpus-per-gpu",
    "core-spec",
    "thread-spec",
):
    VALUES[_name] = st.one_of(st.integers(1, 8).map(str), st.integers(1, 8).map(str), _number)

_BLANKS = st.sampled_from([" ", " ", " ", "  ", "\t", " \t ", "\v", "\r", "\f"])


@st.composite
def quoted(draw, text):
    """The text the way a user may protect it, or not."""
    how = draw(choice("plain|plain|plain|double|single|backslash|middle"))
    if how == "double":
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if how == "single":
        return "'" + text.replace("'", "\\'") + "'"
    if how == "backslash":
        return "".join("\\" + c if c in " #'\"\\\t" else c for c in text)
    if how == "middle" and text:
        cut = draw(st.integers(0, len(text)))
        return text[:cut] + '"' + text[cut:] + '"'
    return text


@st.composite
def option_words(draw, plain=False):
    """One option, spelt in one of the ways that getopt_long may or may not take (plain: mostly the right way)."""
    option = draw(st.sampled_from([option for option in OPTIONS if option.name not in _LEFT_OUT]))
    value = draw(VALUES.get(option.name, _words))
    if option.takes is Takes.NOTHING:
        value = draw(st.sampled_from([None, None, None, "yes", ""]))
    elif option.takes is Takes.MAYBE:
        value = draw(st.one_of(st.none(), st.just(value)))
    name = option.name
    how = 9 if plain else draw(st.integers(0, 9))
    if how == 0:
        name = name[: draw(st.integers(1, len(name)))]
    elif how == 1:
        name = draw(
            st.sampled_from([name.upper(), name.replace("-", "_"), name + "s", name[:-1], name + "=", "no-" + name])
        )
    if option.short and draw(st.booleans()):
        spelling = f"-{option.short}"
        joint = draw(st.sampled_from(["", " "] if plain else ["", "", " ", "=", "  "]))
    elif plain:
        spelling, joint = f"--{name}", "="
    else:
        spelling = draw(choice("--|--|--|--|--|--|-|—|–-")) + name
        joint = draw(choice("=|=|=| | = |= | ="))
    if value is None:
        return spelling
    return spelling + joint + draw(quoted(value))


@st.composite
def slurm_line(draw, plain=False):
    if plain:
        return "#SBATCH " + draw(option_words(plain=True))
    marker = draw(
        st.sampled_from(
            ["#SBATCH"] * 14 + ["#SLURM", "# SBATCH", "##SBATCH", " #SBATCH", "#sbatch", "#SBTACH", "#SBATCHX"]
        )
    )
    words = draw(
        st.lists(
            option_words(),
            min_size=0 if draw(st.integers(0, 9)) == 0 else 1,
            max_size=3 if draw(st.integers(0, 4)) == 0 else 1,
        )
    )
    line = marker + draw(st.sampled_from([" ", " ", " ", " ", "", "\t", "  "])) + draw(_BLANKS).join(words)
    tail = draw(
        st.sampled_from(
            [""] * 12
            + [
                " # a comment",
                "#x",
                " -- ",
                " word",
                " \\",
                "\\",
                ' "',
                " ''",
                " hetjob",
                " : ",
                " -",
                ' "a # b"',
                " #",
                "\x0b",
                "\x01",
            ]
        )
    )
    return line + tail


_pbs_resource = st.one_of(
    st.builds("nodes={}:ppn={}".format, _small, _small),
    st.builds(
        "nodes={}:ppn={}:gpus={}+{}".format, _small, _small, _small, st.sampled_from(["node7", "1:ppn=2", "bigmem"])
    ),
    st.builds(
        "select={}:ncpus={}:mpiprocs={}:mem={}".format,
        _small,
        _small,
        _small,
        st.sampled_from(["4gb", "400mb", "8GB", "x"]),
    ),
    st.builds("walltime={}".format, _time),
    st.builds("mem={}".format, choice("4gb|10GB|100mb|1b|16|x|1tb")),
    choice(
        "pmem=2gb|vmem=1gb|ncpus=4|file=10gb|nice=5|arch=linux|cput=1:00:00|naccelerators=2|"
        "accelerator=true|proc=x,foo,mem=1gb|software=x|place=scatter"
    ),
)
_pbs_line = st.one_of(
    st.lists(_pbs_resource, min_size=1, max_size=3).map(",".join).map("#PBS -l {}".format),
    st.builds(
        "#PBS -{} {}".format,
        st.sampled_from(list("aAcCejJkmMNopqrStuvW")),
        choice("abe|n|name|oe|1-4|/x/y|10|afterok:1|umask=022|depend=afterok:1|x|y|now"),
    ),
    choice(
        "#PBS -V|#PBS -h|#PBS -I|#PBS -z|#PBS|#PBS x|#PBSx|#PBS --join=oe|#PBS -N 'a b'|#PBS -j oe -V|#PBS -X|#PBS : x"
    ),
)
_bsub_line = choice(
    "#BSUB -n 4|#BSUB -n 2,8|#BSUB -n 2,|#BSUB -q gpu|#BSUB -W 1:00|#BSUB -W 60|#BSUB -M 4000|"
    "#BSUB -M 4G|#BSUB -x|#BSUB -J name|#BSUB -cwd /x|#BSUB -m 'a b'|#BSUB -R x|#BSUB -o %J.out -e x|"
    "#BSUB"
)
_other_line = st.sampled_from(
    [
        "",
        "",
        "# a comment",
        "   # indented",
        "\t",
        "#",
        "module load x",
        "set -e",
        "echo hi",
        "\\",
        "#!/bin/bash",
        "export A=1 # x",
        "\ufeff",
        "é",
    ]
)


@st.composite
def scripts(draw):
    """A whole script as bytes."""
    lines = [
        draw(
            st.sampled_from(
                ["#!/bin/bash"] * 30
                + [
                    "#!/bin/sh -l",
                    "#!",
                    "#! /usr/bin/env python",
                    "",
                    "\ufeff#!/bin/bash",
                    " #!/bin/bash",
                    "#SBATCH -N 1",
                ]
            )
        )
    ]
    plain = draw(st.booleans())
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.integers(0, 19))
        lines.append(
            draw(
                _other_line
                if kind == 0
                else _pbs_line
                if kind == 1
                else _bsub_line
                if kind == 2 and draw(st.booleans())
                else slurm_line(plain)
            )
        )
    if draw(st.integers(0, 15)) == 0:
        lines = lines[:1] + draw(st.lists(_pbs_line, min_size=1, max_size=4)) + lines[1:2]
    if draw(st.integers(0, 15)) == 0:
        lines.insert(
            draw(st.integers(1, len(lines))),
            draw(st.sampled_from(["#SBATCH hetjob", "#SBATCH packjob", "#SBATCH HetJob", "#SBATCH hetjob --nodes=3"])),
        )
    lines.append(draw(st.sampled_from(["srun hostname", "srun hostname\n#SBATCH --time=5", "", "echo \\"])))
    end = draw(st.sampled_from(["\n"] * 40 + ["\r\n", "\r"]))
    text = end.join(lines) + draw(st.sampled_from(["\n"] * 9 + [""]))
    data = text.encode("utf-8", "surrogateescape")
    odd = draw(st.integers(0, 79))
    if odd == 0:
        data += b"\0"
    elif odd == 1:
        data += b"# caf\xe9 \xff\xfe\n"
    elif odd == 2:
        data = data.replace(b"#SBATCH ", b"#SBATCH --comment=" + b"x" * draw(st.sampled_from([5000, 70000])) + b" ", 1)
    return data


VARIABLES = st.dictionaries(
    choice(
        "SBATCH_PARTITION|SBATCH_TIMELIMIT|SBATCH_MEM_PER_NODE|SBATCH_MEM_PER_CPU|SBATCH_GRES|"
        "SBATCH_EXCLUSIVE|SBATCH_REQUEUE|SBATCH_NO_REQUEUE|SBATCH_HINT|SBATCH_OVERCOMMIT|SBATCH_GPUS|"
        "SBATCH_WAIT|SBATCH_IGNORE_PBS|SLURM_HINT|SBATCH_DISTRIBUTION|SBATCH_JOB_NAME|"
        "SBATCH_THREADS_PER_CORE|SBATCH_CORE_SPEC|SBATCH_THREAD_SPEC|SBATCH_GPUS_PER_TASK|SBATCH_SIGNAL|"
        "SBATCH_NO_KILL|SBATCH_OUTPUT|SLURM_DIST_PLANESIZE"
    ),
    choice("|yes|no|1|2|0|gpu|10:00|4G|gpu:1|plane|multithread|USR1|x"),
    max_size=3,
)
