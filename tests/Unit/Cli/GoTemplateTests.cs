using System.Text.Json.Nodes;
using Slipway.Cli;
using Slipway.Cli.Output;
using Xunit;

namespace Slipway.Tests.Unit.Cli;

/// <summary>Expectations are what Go's text/template and docker's functions give for the same input.</summary>
public sealed class GoTemplateTests
{
    private static readonly JsonNode _value = JsonNode.Parse("""
        {"Name":"/web","State":{"Running":true,"Pid":7,"Error":""},"Args":["-c","exit 4"],"Empty":[],
         "Ports":{"80/tcp":[{"HostPort":"8080"}],"443/tcp":null}}
        """)!;

    [Theory]
    [InlineData("{{.Name}}", "/web")]
    [InlineData("{{ .State.Pid }} {{.State.Running}}", "7 true")]
    [InlineData("{{json .Args}}", """["-c","exit 4"]""")]
    [InlineData("{{.Args}}", "[-c exit 4]")]
    [InlineData("{{.Missing}}", "<no value>")]
    [InlineData("{{range .Args}}<{{.}}>{{end}}", "<-c><exit 4>")]
    [InlineData("{{range $i, $a := .Args}}{{$i}}={{$a}};{{end}}", "0=-c;1=exit 4;")]
    [InlineData("{{if .State.Running}}up{{else}}down{{end}}", "up")]
    [InlineData("{{if .State.Error}}bad{{else}}good{{end}}", "good")]
    [InlineData("{{if .Empty}}some{{end}}none", "none")]
    [InlineData("{{range (index .Ports \"80/tcp\")}}{{.HostPort}}{{end}}", "8080")]
    [InlineData("{{(index (index .Ports \"80/tcp\") 0).HostPort}}", "8080")]
    [InlineData("{{join .Args \",\"}}", "-c,exit 4")]
    [InlineData("{{.Name | upper}}", "/WEB")]
    [InlineData("{{len .Args}}", "2")]
    [InlineData("{{eq .State.Pid 7}}", "true")]
    [InlineData("{{not .State.Running}}", "false")]
    [InlineData("a\\t{{.Name}}\\n", "a\t/web\n")]
    [InlineData("x {{- .Name -}} y", "x/weby")]
    public void Gives_what_Go_gives(string template, string expected)
    {
        Assert.Equal(expected, GoTemplate.Parse(template).Execute(_value));
    }

    [Theory]
    [InlineData("{{.Name")]
    [InlineData("{{if .Name}}x")]
    [InlineData("{{end}}")]
    [InlineData("{{.Name | }}")]
    public void Refuses_a_malformed_template(string template) => Assert.Throws<CommandException>(() => GoTemplate.Parse(template));

    [Fact]
    public void Refuses_an_unknown_function() => Assert.Throws<CommandException>(() => GoTemplate.Parse("{{frobnicate .Name}}").Execute(_value));
}
