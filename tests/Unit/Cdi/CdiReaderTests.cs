using System.Text;
using Slipway.Oci.Cdi;
using Xunit;

namespace Slipway.Tests.Unit.Cdi;

/// <summary>Specifications of devices: what is understood, and what is refused.</summary>
public sealed class CdiReaderTests
{
    private const string Head = "cdiVersion: 0.5.0\nkind: vendor.com/class\ndevices:\n- name: x\n";

    [Fact]
    public void Yaml_and_json_say_the_same()
    {
        const string Yaml = """
            ---
            cdiVersion: "0.5.0"   # quoted
            kind: vendor.com/class
            annotations: {}
            devices:
              - name: 'it''s'
                containerEdits:
                  env:
                    - "A=b: c"
                    - "T=\ttab # kept"
                  deviceNodes:
                    -
                      path: /dev/x
                      major: 1
                      fileMode: 0o660
                  mounts: []
                  additionalGids: [1, "2"]
            """;
        const string Json = """
            {"cdiVersion": "0.5.0", "kind": "vendor.com/class", "annotations": {}, "devices": [{"name": "it's", "containerEdits": {"env": ["A=b: c", "T=\ttab # kept"],
             "deviceNodes": [{"path": "/dev/x", "major": "1", "fileMode": "0o660"}], "mounts": [], "additionalGids": ["1", "2"]}}]}
            """;
        var parsed = PlainYaml.Parse(Yaml).AsObject();
        Assert.Equal(System.Text.Json.Nodes.JsonNode.Parse(Json)!.ToJsonString(), parsed.ToJsonString());
        Assert.Throws<FormatException>(() => Read(Yaml)); // The name has a quote.
        var read = Read(Yaml.Replace("'it''s'", "its", StringComparison.Ordinal));
        var edits = Assert.Single(read.Devices).ContainerEdits;
        Assert.Equal(432u, Assert.Single(edits!.DeviceNodes!).FileMode);
        Assert.Equal([1u, 2u], edits.AdditionalGids!);
    }

    [Theory]
    [InlineData("a: &x 1\nb: *x")]
    [InlineData("a: !!str x")]
    [InlineData("a: |\n  text")]
    [InlineData("a: >-\n  text")]
    [InlineData("? a\n: b")]
    [InlineData("<<: *x")]
    [InlineData("a:\n\t- b")]
    [InlineData("a: 1\na: 2")]
    [InlineData("a: [1, [2]]")]
    [InlineData("a: {b: c}")]
    [InlineData("a: \"open")]
    [InlineData("a: 'open")]
    [InlineData("a: 1\n---\nb: 2")]
    [InlineData("a:\n    b: 1\n  c: 2")]
    [InlineData("a: 1\nplain")]
    [InlineData("")]
    [InlineData("# nothing")]
    public void Yaml_that_is_not_understood_is_refused(string text) => Assert.Throws<FormatException>(() => PlainYaml.Parse(text));

    [Fact]
    public void Nesting_has_an_end()
    {
        Assert.Throws<FormatException>(() => PlainYaml.Parse(string.Concat(Enumerable.Range(0, 100_000).Select(_ => "- ")) + "x"));
        Assert.Throws<FormatException>(() => PlainYaml.Parse(string.Concat(Enumerable.Range(0, 20).Select(level => new string(' ', level) + "a:\n")) + new string(' ', 20) + "b: c"));
        Assert.Throws<FormatException>(() => CdiReader.Read(Encoding.UTF8.GetBytes("{\"annotations\":" + new string('[', 100_000)), isYaml: false));
    }

    [Theory]
    [InlineData("cdiVersion: 9.9.9\nkind: vendor.com/class\ndevices:\n- name: x")]
    [InlineData("cdiVersion: 0.5.0\nkind: ../../etc\ndevices:\n- name: x")]
    [InlineData("cdiVersion: 0.5.0\nkind: vendor\ndevices:\n- name: x")]
    [InlineData("cdiVersion: 0.5.0\nkind: vendor.com/class\ndevices: []")]
    [InlineData("cdiVersion: 0.5.0\nkind: vendor.com/class")]
    [InlineData(Head + "- name: x")]
    [InlineData(Head + "- name: -y")]
    [InlineData(Head + "unknown: z")]
    [InlineData(Head + "containerEdits:\n  env:\n  - novalue")]
    [InlineData(Head + "containerEdits:\n  deviceNodes:\n  - path: relative")]
    [InlineData(Head + "containerEdits:\n  deviceNodes:\n  - path: /dev/x\n    permissions: rwx")]
    [InlineData(Head + "containerEdits:\n  deviceNodes:\n  - path: /dev/x\n    major: 5000")]
    [InlineData(Head + "containerEdits:\n  mounts:\n  - hostPath: /a\n    containerPath: b")]
    [InlineData(Head + "containerEdits:\n  hooks:\n  - hookName: never\n    path: /x")]
    [InlineData(Head + "containerEdits:\n  intelRdt:\n    closID: a")]
    public void Specifications_that_cannot_be_meant_are_refused(string yaml) => Assert.Throws<FormatException>(() => Read(yaml));

    [Theory]
    [InlineData("vendor.com/class=x", true)]
    [InlineData("vendor.com/class=a:b.c-d_e0", true)]
    [InlineData("vendor.com/class=", false)]
    [InlineData("vendor.com=x", false)]
    [InlineData("/dev/x", false)]
    [InlineData("1vendor/class=x", false)]
    public void Names_are_told_from_paths(string name, bool valid) => Assert.Equal(valid, CdiReader.TryParseName(name, out _, out _));

    private static CdiDocument Read(string yaml) => CdiReader.Read(Encoding.UTF8.GetBytes(yaml), isYaml: true);
}
