%% A process pair on two Erlang nodes: the primary copies every addition to its backup before it replies, and the backup
%% serves from the moment it is told that the node of the primary is down. Nobody makes sure that the primary is dead.
-module(counter).
-behaviour(gen_server).
-export([start/0, init/1, handle_call/3, handle_cast/2, handle_info/2]).

%% Called as: erl ... -run counter start -extra PORT PEER primary|backup
start() ->
    [Port, Peer, Role] = init:get_plain_arguments(),
    {ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, {list_to_atom(Peer), list_to_atom(Role)}, []),
    spawn(fun() -> listen(list_to_integer(Port)) end).

listen(Port) ->
    {ok, L} = gen_tcp:listen(Port, [{ip, {127,0,0,1}}, {packet, line}, {active, false}, {reuseaddr, true}, {nodelay, true}, {backlog, 100}]),
    accept(L).

accept(L) ->
    {ok, S} = gen_tcp:accept(L),
    Pid = spawn(fun() -> receive go -> answer(S) end end),
    ok = gen_tcp:controlling_process(S, Pid),
    Pid ! go,
    accept(L).

answer(S) ->
    case gen_tcp:recv(S, 0) of
        {ok, Line} ->
            ok = gen_tcp:send(S, [reply(string:trim(Line)), "\n"]),
            answer(S);
        {error, _} ->
            gen_tcp:close(S)
    end.

reply("add") ->
    case gen_server:call(?MODULE, add, infinity) of
        no -> "no";
        N -> [integer_to_list(N), " ", os:getpid()]
    end;
reply("role") ->
    [atom_to_list(gen_server:call(?MODULE, role, infinity)), " ", os:getpid()];
reply("version") ->
    ["OTP ", erlang:system_info(otp_release), ", ERTS ", erlang:system_info(version)];
reply(_) ->
    "no".

%% The state is {Role, Peer, Count}. Role: serving, with a backup; alone, without one; waiting, a backup.
init({Peer, primary}) ->
    ok = net_kernel:monitor_nodes(true),
    {ok, {alone, Peer, 0}};
init({Peer, backup}) ->
    ok = net_kernel:monitor_nodes(true),
    {ok, {waiting, Peer, join(Peer, 200)}}.

join(Peer, Tries) ->
    try gen_server:call({?MODULE, Peer}, {join, node()})
    catch _:_ when Tries > 0 ->
        timer:sleep(20),
        join(Peer, Tries - 1)
    end.

handle_call(add, _, S = {waiting, _, _}) ->
    {reply, no, S};
handle_call(add, _, {alone, Peer, N}) ->
    {reply, N + 1, {alone, Peer, N + 1}};
handle_call(add, _, {serving, Peer, N}) ->
    try ok = gen_server:call({?MODULE, Peer}, {copy, N + 1}, infinity) of
        ok -> {reply, N + 1, {serving, Peer, N + 1}}
    catch _:_ -> % the backup is dead
        {reply, N + 1, {alone, Peer, N + 1}}
    end;
handle_call({copy, N}, _, {waiting, Peer, _}) ->
    {reply, ok, {waiting, Peer, N}};
handle_call({join, Peer}, _, {Role, Peer, N}) when Role =/= waiting ->
    {reply, N, {serving, Peer, N}};
handle_call(role, _, S = {Role, _, _}) ->
    {reply, Role, S}.

handle_cast(_, S) ->
    {noreply, S}.

handle_info({nodedown, Peer}, {_, Peer, N}) ->
    {noreply, {alone, Peer, N}};
handle_info(_, S) ->
    {noreply, S}.
