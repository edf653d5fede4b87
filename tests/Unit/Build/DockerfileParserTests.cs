using Slipway.Build.Syntax;
using Xunit;

namespace Slipway.Tests.Unit.Build;

/// <summary>From the Dockerfile reference (docs.docker.com/reference/dockerfile), instruction by instruction.</summary>
public sealed class DockerfileParserTests
{
    [Theory]
    [InlineData("RUN echo hi", "RUN sh(echo hi)")]
    [InlineData("run echo hi", "RUN sh(echo hi)")]
    [InlineData("  RUN   echo  hi  ", "RUN sh(echo  hi)")]
    [InlineData("RUN\techo", "RUN sh(echo)")]
    [InlineData("RUN [\"/bin/sh\", \"-c\", \"echo hi\"]", "RUN exec(/bin/sh|-c|echo hi)")]
    [InlineData("RUN [ ]", "RUN: RUN requires at least one argument")]
    [InlineData("RUN [\"a\"", "RUN sh([\"a\")")]
    [InlineData("RUN ['a']", "RUN sh(['a'])")]
    [InlineData("RUN [\"a\", 1]", "RUN: when using JSON array syntax, arrays must be comprised of strings only")]
    [InlineData("RUN [\"a\\\"b\", \"\\u0041\"]", "RUN exec(a\"b|A)")]
    [InlineData("RUN [\"a\"] && b", "RUN sh([\"a\"] && b)")]
    [InlineData("RUN a \\\n  b", "RUN sh(a   b)")]
    [InlineData("RUN a \\\n# comment\n  b", "RUN sh(a   b)")]
    [InlineData("RUN a \\\n   # indented comment\n  b", "RUN sh(a   b)")]
    [InlineData("RUN a \\  \n b", "RUN sh(a  b)")]
    [InlineData("RUN a \\\n\n b", "RUN sh(a  b)")]
    [InlineData("RUN a\\\\", "RUN sh(a\\\\)")]
    [InlineData("RUN a \\", "RUN sh(a)")]
    [InlineData("RUN a # no comment", "RUN sh(a # no comment)")]
    [InlineData("RUN a \\\r\n b\r\n", "RUN sh(a  b)")]
    [InlineData("RUN --mount=type=cache,target=/c make", "RUN cache(/c) sh(make)")]
    [InlineData("RUN --mount=type=cache,target=/c --mount=target=/b make", "RUN cache(/c) bind(/b) sh(make)")]
    [InlineData("RUN --mount=type=cache,id=x,dst=/c,sharing=locked,uid=1,gid=2,mode=0700,ro make", "RUN cache(/c id=x ro locked uid=1 gid=2 mode=0700) sh(make)")]
    [InlineData("RUN --mount=type=cache,target=/c,from=a,source=b make", "RUN cache(/c from=a source=b) sh(make)")]
    [InlineData("RUN --mount=type=bind,source=a,target=/b,rw make", "RUN bind(/b source=a rw) sh(make)")]
    [InlineData("RUN --mount=type=bind,from=base,src=a,destination=/b,readonly=false make", "RUN bind(/b from=base source=a rw) sh(make)")]
    [InlineData("RUN --mount=type=tmpfs,target=/t,size=10m make", "RUN tmpfs(/t size=10m) sh(make)")]
    [InlineData("RUN --mount=type=secret,id=s make", "RUN secret(id=s) sh(make)")]
    [InlineData("RUN --mount=type=secret,id=s,env=TOKEN,required make", "RUN secret(id=s required env=TOKEN) sh(make)")]
    [InlineData("RUN --mount=type=secret,id=s,target=/x,mode=0400,required=true make", "RUN secret(/x id=s required mode=0400) sh(make)")]
    [InlineData("RUN --mount=type=ssh make", "RUN ssh() sh(make)")]
    [InlineData("RUN --mount=type=ssh,id=k,required=false make", "RUN ssh(id=k) sh(make)")]
    [InlineData("RUN --mount=\"type=bind,target=/a b\" make", "RUN bind(/a b) sh(make)")]
    [InlineData("RUN --mount=type=nothing,target=/c make", "RUN: unsupported mount type \"nothing\"")]
    [InlineData("RUN --mount=type=cahce,target=/c make", "RUN: unsupported mount type \"cahce\" (did you mean cache?)")]
    [InlineData("RUN --mount=type=cache make", "RUN: invalid mount target \"/\"")]
    [InlineData("RUN --mount=type=cache,target=/c,sharing=all make", "RUN: unsupported sharing value \"all\"")]
    [InlineData("RUN --mount=type=cache,target=/c,trget=/d make", "RUN: unexpected key 'trget' in 'trget=/d' (did you mean target?)")]
    [InlineData("RUN --mount=type=tmpfs,target=/c,id=x make", "RUN: unexpected key 'id' for mount type 'tmpfs'")]
    [InlineData("RUN --mount=type=cache,target make", "RUN: invalid field 'target' must be a key=value pair")]
    [InlineData("RUN --mount make", "RUN: missing a value on flag: mount")]
    [InlineData("RUN --network=none make", "RUN net=none sh(make)")]
    [InlineData("RUN --network=host make", "RUN net=host sh(make)")]
    [InlineData("RUN --network=bridge make", "RUN: invalid network mode \"bridge\"")]
    [InlineData("RUN --security=insecure make", "RUN sec=insecure sh(make)")]
    [InlineData("RUN --security=all make", "RUN: security \"all\" is not valid")]
    [InlineData("RUN --netwrk=none make", "RUN: unknown flag: --netwrk (did you mean network?)")]
    [InlineData("RUN --network=none --network=host make", "RUN: duplicate flag specified: network")]
    [InlineData("RUN -- --make", "RUN sh(--make)")]
    [InlineData("RUN", "RUN: RUN requires at least one argument")]
    [InlineData("RUN <<EOF\na\nb\nEOF", "RUN sh(<<EOF) <EOF expand>a\\nb\\n")]
    [InlineData("RUN <<-EOF\n\ta\n\t\tb\n\tEOF", "RUN sh(<<-EOF) <EOF expand>a\\nb\\n")]
    [InlineData("RUN <<'EOF'\n$a\nEOF", "RUN sh(<<'EOF') <EOF>$a\\n")]
    [InlineData("RUN <<\"EOF\"\n$a\nEOF", "RUN sh(<<\"EOF\") <EOF>$a\\n")]
    [InlineData("RUN python3 <<EOF > /x\nprint(1)\nEOF", "RUN sh(python3 <<EOF > /x) <EOF expand>print(1)\\n")]
    [InlineData("RUN cat <<A <<B\n1\nA\n2\nB", "RUN sh(cat <<A <<B) <A expand>1\\n <B expand>2\\n")]
    [InlineData("RUN cat 3<<A\n1\nA", "RUN sh(cat 3<<A) <A expand 3>1\\n")]
    [InlineData("RUN <<EOF\n# no comment\n\\\nEOF", "RUN sh(<<EOF) <EOF expand># no comment\\n\\\\n")]
    [InlineData("RUN echo \"<<EOF\"", "RUN sh(echo \"<<EOF\")")]
    [InlineData("RUN echo $((1<<2))", "RUN sh(echo $((1<<2)))")]
    [InlineData("RUN <<EOF\na", "RUN: unterminated heredoc")]
    [InlineData("CMD a b", "CMD sh(a b)")]
    [InlineData("CMD [\"a\",\"b\"]", "CMD exec(a|b)")]
    [InlineData("CMD", "CMD sh()")]
    [InlineData("CMD []", "CMD exec()")]
    [InlineData("ENTRYPOINT top -b", "ENTRYPOINT sh(top -b)")]
    [InlineData("ENTRYPOINT [\"top\", \"-b\"]", "ENTRYPOINT exec(top|-b)")]
    [InlineData("SHELL [\"powershell\", \"-command\"]", "SHELL powershell|-command")]
    [InlineData("SHELL /bin/bash", "SHELL: SHELL requires the arguments to be in JSON form")]
    [InlineData("SHELL []", "SHELL: SHELL requires at least one argument")]
    [InlineData("ENV a=b", "ENV a=b")]
    [InlineData("ENV a=b c=d", "ENV a=b c=d")]
    [InlineData("ENV a=\"b c\" d='e f'", "ENV a=\"b c\" d='e f'")]
    [InlineData("ENV a=b\\ c", "ENV a=b\\ c")]
    [InlineData("ENV a b c", "ENV a=b c")]
    [InlineData("ENV a b=c", "ENV a=b=c")]
    [InlineData("ENV a=", "ENV a=")]
    [InlineData("ENV a=b=c", "ENV a=b=c")]
    [InlineData("ENV a=$b", "ENV a=$b")]
    [InlineData("ENV a", "ENV: ENV must have two arguments")]
    [InlineData("ENV", "ENV: ENV requires at least one argument")]
    [InlineData("ENV =b", "ENV: ENV names can not be blank")]
    [InlineData("ENV a=b c", "ENV: Syntax error - can't find = in \"c\". Must be of the form: name=value")]
    [InlineData("LABEL \"com.example.vendor\"=\"ACME\"", "LABEL \"com.example.vendor\"=\"ACME\"")]
    [InlineData("LABEL a=b \\\n      c=\"d\"", "LABEL a=b c=\"d\"")]
    [InlineData("LABEL a b", "LABEL a=b")]
    [InlineData("LABEL a", "LABEL: LABEL must have two arguments")]
    [InlineData("ARG a", "ARG a")]
    [InlineData("ARG a=b", "ARG a=b")]
    [InlineData("ARG a=", "ARG a=")]
    [InlineData("ARG a=b c d=\"e f\"", "ARG a=b c d=\"e f\"")]
    [InlineData("ARG", "ARG: ARG requires at least one argument")]
    [InlineData("ARG =b", "ARG: ARG names can not be blank")]
    [InlineData("EXPOSE 80", "EXPOSE 80")]
    [InlineData("EXPOSE 80/tcp 53/udp 8000-8010 $PORT", "EXPOSE 80/tcp 53/udp 8000-8010 $PORT")]
    [InlineData("EXPOSE", "EXPOSE: EXPOSE requires at least one argument")]
    [InlineData("VOLUME /data", "VOLUME /data")]
    [InlineData("VOLUME /a /b", "VOLUME /a /b")]
    [InlineData("VOLUME [\"/a b\", \"/c\"]", "VOLUME /a b /c")]
    [InlineData("VOLUME", "VOLUME: VOLUME requires at least one argument")]
    [InlineData("VOLUME [\"\"]", "VOLUME: VOLUME specified can not be an empty string")]
    [InlineData("USER nobody:nogroup", "USER nobody:nogroup")]
    [InlineData("USER", "USER: USER requires exactly one argument")]
    [InlineData("WORKDIR /a b", "WORKDIR /a b")]
    [InlineData("WORKDIR", "WORKDIR: WORKDIR requires exactly one argument")]
    [InlineData("STOPSIGNAL SIGTERM", "STOPSIGNAL SIGTERM")]
    [InlineData("STOPSIGNAL", "STOPSIGNAL: STOPSIGNAL requires exactly one argument")]
    [InlineData("MAINTAINER A B <a@b>", "MAINTAINER A B <a@b>")]
    [InlineData("HEALTHCHECK NONE", "HEALTHCHECK none")]
    [InlineData("HEALTHCHECK none", "HEALTHCHECK none")]
    [InlineData("HEALTHCHECK CMD curl -f http://localhost/ || exit 1", "HEALTHCHECK sh(curl -f http://localhost/ || exit 1)")]
    [InlineData("HEALTHCHECK CMD [\"a\", \"b\"]", "HEALTHCHECK exec(a|b)")]
    [InlineData("HEALTHCHECK --interval=5m --timeout=3s --start-period=1m30s --start-interval=500ms --retries=3 CMD a", "HEALTHCHECK 300s 3s 90s 0.5s 3 sh(a)")]
    [InlineData("HEALTHCHECK --interval=1.5h CMD a", "HEALTHCHECK 5400s sh(a)")]
    [InlineData("HEALTHCHECK --interval=0 CMD a", "HEALTHCHECK 0s sh(a)")]
    [InlineData("HEALTHCHECK", "HEALTHCHECK: HEALTHCHECK requires at least one argument")]
    [InlineData("HEALTHCHECK NONE a", "HEALTHCHECK: HEALTHCHECK NONE takes no arguments")]
    [InlineData("HEALTHCHECK CMD", "HEALTHCHECK: missing command after HEALTHCHECK CMD")]
    [InlineData("HEALTHCHECK TEST a", "HEALTHCHECK: unknown type \"TEST\" in HEALTHCHECK (try CMD)")]
    [InlineData("HEALTHCHECK --interval=5 CMD a", "HEALTHCHECK: time: missing unit in duration \"5\"")]
    [InlineData("HEALTHCHECK --interval=x CMD a", "HEALTHCHECK: time: invalid duration \"x\"")]
    [InlineData("HEALTHCHECK --interval=1d CMD a", "HEALTHCHECK: time: unknown unit \"d\" in duration \"1d\"")]
    [InlineData("HEALTHCHECK --interval=10us CMD a", "HEALTHCHECK: Interval \"interval\" cannot be less than 1ms")]
    [InlineData("HEALTHCHECK --retries=x CMD a", "HEALTHCHECK: strconv.ParseInt: parsing \"x\": invalid syntax")]
    [InlineData("HEALTHCHECK --retries=-1 CMD a", "HEALTHCHECK: --retries cannot be negative (-1)")]
    [InlineData("ONBUILD RUN a", "ONBUILD (RUN a)")]
    [InlineData("ONBUILD ADD . /app", "ONBUILD (ADD . /app)")]
    [InlineData("ONBUILD", "ONBUILD: ONBUILD requires at least one argument")]
    [InlineData("ONBUILD ONBUILD RUN a", "ONBUILD: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")]
    [InlineData("ONBUILD FROM a", "ONBUILD: FROM isn't allowed as an ONBUILD trigger")]
    [InlineData("ONBUILD maintainer a", "ONBUILD: MAINTAINER isn't allowed as an ONBUILD trigger")]
    [InlineData("ONBUILD RNU a", "ONBUILD: unknown instruction: RNU (did you mean RUN?)")]
    [InlineData("COPY a b", "COPY a -> b")]
    [InlineData("COPY a b /c/", "COPY a b -> /c/")]
    [InlineData("COPY [\"a b\", \"c\"]", "COPY a b -> c")]
    [InlineData("COPY --from=build /a /b", "COPY from=build /a -> /b")]
    [InlineData("COPY --chown=1:2 --chmod=755 --link a b", "COPY owner=1:2 mode=755 link a -> b")]
    [InlineData("COPY --link=false a b", "COPY a -> b")]
    [InlineData("COPY --parents --exclude=*.md --exclude=x a b", "COPY parents -*.md -x a -> b")]
    [InlineData("COPY <<EOF /x\nhi\nEOF", "COPY  -> /x <EOF expand>hi\\n")]
    [InlineData("COPY <<A <<B c /d/\n1\nA\n2\nB", "COPY c -> /d/ <A expand>1\\n <B expand>2\\n")]
    [InlineData("COPY a", "COPY: COPY requires at least two arguments, but only one was provided. Destination could not be determined")]
    [InlineData("COPY", "COPY: COPY requires at least two arguments, but only one was provided. Destination could not be determined")]
    [InlineData("COPY a <<EOF\nEOF", "COPY: COPY cannot accept a heredoc as a destination")]
    [InlineData("COPY --link=maybe a b", "COPY: expecting boolean value for flag link, not: maybe")]
    [InlineData("COPY --form=x a b", "COPY: unknown flag: --form (did you mean from?)")]
    [InlineData("COPY --checksum=x a b", "COPY: unknown flag: --checksum")]
    [InlineData("ADD a b", "ADD a -> b")]
    [InlineData("ADD https://example.com/a.tar.gz /b", "ADD https://example.com/a.tar.gz -> /b")]
    [InlineData("ADD --checksum=sha256:00 https://example.com/a /b", "ADD sum=sha256:00 https://example.com/a -> /b")]
    [InlineData("ADD --keep-git-dir=true git@example.com:a.git /b", "ADD git git@example.com:a.git -> /b")]
    [InlineData("ADD --unpack=false a.tar /b", "ADD unpack=False a.tar -> /b")]
    [InlineData("ADD --unpack a.tar /b", "ADD unpack=True a.tar -> /b")]
    [InlineData("ADD --from=x a b", "ADD: unknown flag: --from")]
    [InlineData("RNU a", "RNU: unknown instruction: RNU (did you mean RUN?)")]
    [InlineData("COPPY a b", "COPPY: unknown instruction: COPPY (did you mean COPY?)")]
    [InlineData("entrypiont a", "ENTRYPIONT: unknown instruction: entrypiont (did you mean ENTRYPOINT?)")]
    [InlineData("NOTHINGLIKETHIS a", "NOTHINGLIKETHIS: unknown instruction: NOTHINGLIKETHIS")]
    public void An_instruction_is_read(string source, string expected)
    {
        string actual;
        try
        {
            DockerfileDocument document = DockerfileParser.Parse("FROM scratch\n" + source);
            actual = InstructionText.Of(Assert.Single(Assert.Single(document.Stages).Instructions));
        }
        catch (DockerfileException e)
        {
            actual = $"{source.Trim().Split(' ', '\n')[0].ToUpperInvariant()}: {e.Problem}";
        }

        Assert.Equal(expected, actual);
    }

    [Theory]
    [InlineData("FROM a", "a")]
    [InlineData("from a", "a")]
    [InlineData("FROM a:1 AS b", "a:1 as b")]
    [InlineData("FROM a as B", "a as b")]
    [InlineData("FROM --platform=$BUILDPLATFORM a@sha256:00 AS b-1.x_y", "a@sha256:00 as b-1.x_y on $BUILDPLATFORM")]
    [InlineData("FROM ${BASE:-x}", "${BASE:-x}")]
    [InlineData("FROM", "FROM requires either one or three arguments")]
    [InlineData("FROM a b", "FROM requires either one or three arguments")]
    [InlineData("FROM a AS", "FROM requires either one or three arguments")]
    [InlineData("FROM a OF b", "FROM requires either one or three arguments")]
    [InlineData("FROM a AS 1b", "invalid name for build stage: \"1b\", name can't start with a number or contain symbols")]
    [InlineData("FROM a AS b/c", "invalid name for build stage: \"b/c\", name can't start with a number or contain symbols")]
    [InlineData("FROM --plattform=x a", "unknown flag: --plattform (did you mean platform?)")]
    [InlineData("ARG a=1\nFROM $a", "$a")]
    [InlineData("", "file with no instructions")]
    [InlineData("# nothing", "file with no instructions")]
    [InlineData("ARG a", "dockerfile contains no stages to build")]
    [InlineData("RUN a", "no build stage in current context")]
    public void A_stage_begins(string source, string expected)
    {
        string actual;
        try
        {
            FromInstruction from = DockerfileParser.Parse(source).Stages.Single().From;
            actual = from.Base + (from.StageName is null ? "" : $" as {from.StageName}") + (from.Platform is null ? "" : $" on {from.Platform}");
        }
        catch (DockerfileException e)
        {
            actual = e.Problem;
        }

        Assert.Equal(expected, actual);
    }

    [Theory]
    [InlineData("# syntax=docker/dockerfile:1\nFROM a", "docker/dockerfile:1", '\\', null)]
    [InlineData("#syntax = docker/dockerfile:1  \nFROM a", "docker/dockerfile:1", '\\', null)]
    [InlineData("# SYNTAX=a\n# escape=`\n# check=skip=all\nFROM a", "a", '`', "skip=all")]
    [InlineData("\uFEFF# escape=`\nFROM a", null, '`', null)]
    [InlineData("\n# escape=`\nFROM a", null, '\\', null)]
    [InlineData("# a comment\n# escape=`\nFROM a", null, '\\', null)]
    [InlineData("# unknown=x\n# escape=`\nFROM a", null, '\\', null)]
    [InlineData("FROM a\n# escape=`", null, '\\', null)]
    public void Directives_stand_at_the_beginning(string source, string? syntax, char escape, string? check) =>
        Assert.Equal(new Directives(syntax, escape, check), DockerfileParser.Parse(source).Directives);

    [Theory]
    [InlineData("FROM a\n\n  RNU b", 3, 3, "unknown instruction: RNU (did you mean RUN?)")]
    [InlineData("FROM a\nCOPY \\\n  --form=x \\\n a b", 3, 3, "unknown flag: --form (did you mean from?)")]
    [InlineData("FROM a\nONBUILD FROM b", 2, 9, "FROM isn't allowed as an ONBUILD trigger")]
    [InlineData("FROM a AS 1", 1, 11, "invalid name for build stage: \"1\", name can't start with a number or contain symbols")]
    public void An_error_names_its_place(string source, int line, int column, string problem)
    {
        DockerfileException error = Assert.Throws<DockerfileException>(() => DockerfileParser.Parse(source));
        Assert.Equal(new SourcePosition(line, column), error.Position);
        Assert.Equal(problem, error.Problem);
        Assert.Equal($"dockerfile parse error on line {line}: {problem}", error.Message);
    }

    [Theory]
    [InlineData("# escape=x\nFROM a", 1, 10, "invalid escape token 'x' does not match ` or \\")]
    [InlineData("# escape=`\n# escape=`\nFROM a", 2, 10, "only one escape parser directive can be used")]
    [InlineData("FROM a\nENV a=b \\\n    c", 3, 5, "Syntax error - can't find = in \"c\". Must be of the form: name=value")]
    [InlineData("FROM a\nRUN cat <<EOF\nx", 2, 9, "unterminated heredoc")]
    [InlineData("FROM a\nRUN --mount=type=cache,target=/c,sharing=x true", 2, 5, "unsupported sharing value \"x\"")]
    public void What_is_no_error_of_an_instruction_s_form_does_not_say_its_line(string source, int line, int column, string problem)
    {
        DockerfileException error = Assert.Throws<DockerfileException>(() => DockerfileParser.Parse(source));
        Assert.Equal(new SourcePosition(line, column), error.Position);
        Assert.Equal(problem, error.Message);
    }

    [Fact]
    public void A_trigger_keeps_its_documents()
    {
        OnbuildInstruction onbuild = Assert.IsType<OnbuildInstruction>(Assert.Single(DockerfileParser.Parse("FROM a\nONBUILD RUN <<A cat && cat <<-B\none\nA\n\ttwo\n\tB\n").Stages[0].Instructions));
        Assert.Equal("RUN <<A cat && cat <<-B\none\nA\ntwo\nB", onbuild.Trigger);
        Assert.Equal(["one\n", "two\n"], Assert.IsType<RunInstruction>(DockerfileParser.ParseTrigger(onbuild.Trigger)).Heredocs.Select(heredoc => heredoc.Content));
    }

    [Theory]
    [InlineData("type=secret", "invalid secret mount. one of source, target required")]
    [InlineData("type=secret,id=a,sharing=locked", "secret mount should not define sharing")]
    [InlineData("type=secret,id=a,mode=9", "invalid value 9 for mode")]
    [InlineData("type=secret,id=a,mode=", "invalid value  for mode")]
    [InlineData("type=cache,target=/c,uid=x", "invalid value x for uid")]
    [InlineData("type=cache,target=/c,gid=-1", "invalid value -1 for gid")]
    [InlineData("type=cache,target=/c,required", "unexpected key 'required' for mount type 'cache'")]
    [InlineData("type=bind,target=/c,mode=0700", "mode not allowed for \"bind\" type mounts")]
    [InlineData("type=tmpfs,target=/c,uid=0", "uid not allowed for \"tmpfs\" type mounts")]
    [InlineData("target=/", "invalid mount target \"/\"")]
    [InlineData("target=/c,nosuch", "unexpected key 'nosuch' in 'nosuch'")]
    public void A_mount_that_cannot_be_meant_is_an_error(string mount, string problem) =>
        Assert.Equal(problem, Assert.Throws<DockerfileException>(() => DockerfileParser.Parse($"FROM a\nRUN --mount={mount} true")).Message);

    [Fact]
    public void An_error_shows_its_line()
    {
        const string Source = "FROM a\n\nRUN x\n  RNU b\nRUN y\nRUN z\nRUN w\n";
        DockerfileException error = Assert.Throws<DockerfileException>(() => DockerfileParser.Parse(Source));
        Assert.Equal(
            """
            Dockerfile:4
            --------------------
               2 |     
               3 |     RUN x
               4 | >>>   RNU b
                 |       ^
               5 |     RUN y
               6 |     RUN z
            --------------------

            """,
            error.Excerpt("Dockerfile", Source));
    }

    [Fact]
    public void Stages_and_lines_are_known()
    {
        DockerfileDocument document = DockerfileParser.Parse("ARG V=1\nFROM a AS one\nRUN x \\\n y\nRUN <<EOF\nz\nEOF\n\nFROM one\nMAINTAINER me\nRUN a \\\n\n b\n");
        Assert.Equal("V", Assert.Single(Assert.Single(document.GlobalArguments).Arguments).Name);
        Assert.Equal([0, 1], document.Stages.Select(stage => stage.Index));
        Assert.Equal([new SourceLines(3, 4), new SourceLines(5, 7)], document.Stages[0].Instructions.Select(instruction => instruction.Lines));
        Assert.Equal("RUN x  y", document.Stages[0].Instructions[0].Original);
        Assert.Equal([12], document.EmptyContinuations);
    }

    [Fact]
    public void Another_escape_character_leaves_backslashes_alone()
    {
        DockerfileDocument document = DockerfileParser.Parse("# escape=`\nFROM a\nCOPY x c:\\\nRUN dir `\n  c:\\\n");
        Assert.Equal(["COPY x -> c:\\", "RUN sh(dir   c:\\)"], document.Stages[0].Instructions.Select(InstructionText.Of));
    }

    [Theory]
    [InlineData("RUN a", "RUN sh(a)")]
    [InlineData("COPY <<EOF /x\nhi\nEOF", "COPY  -> /x <EOF expand>hi\\n")]
    public void A_trigger_is_read(string trigger, string expected) => Assert.Equal(expected, InstructionText.Of(DockerfileParser.ParseTrigger(trigger)));

    [Fact]
    public void A_trigger_is_no_stage() => Assert.Throws<DockerfileException>(() => DockerfileParser.ParseTrigger("FROM a"));

    [Fact]
    public void A_file_without_measure_is_refused() =>
        Assert.Equal(
            $"the Dockerfile has more than {DockerfileParser.MaximumLength} characters",
            Assert.Throws<DockerfileException>(() => DockerfileParser.Parse(new string('#', DockerfileParser.MaximumLength + 1))).Message);

    [Fact]
    public void A_line_of_a_million_pieces_is_joined_once()
    {
        const int Count = 1_000_000;
        DockerfileDocument document = DockerfileParser.Parse("FROM x\nRUN a" + string.Concat(Enumerable.Repeat("b\\\n", Count)));
        Assert.Equal(Count + 1, Assert.IsType<RunInstruction>(Assert.Single(document.Stages[0].Instructions)).Command.Text.Length);
    }
}
